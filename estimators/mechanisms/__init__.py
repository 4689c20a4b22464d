"""How an effect comes about: through a mediator, and by the size of a dose."""
