"""Effects carried from the study's population to another one."""
