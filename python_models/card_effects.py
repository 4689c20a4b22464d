def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import estimate

    return estimate(
        "card",
        dbt.config.meta_get("study"),
        units=dbt.ref("card_units"),
        gates=dbt.ref("card_gates"),
        session=session,
    )
