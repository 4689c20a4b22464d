def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import estimate

    return estimate(
        "prop99",
        dbt.config.meta_get("study"),
        units=dbt.ref("prop99_units"),
        gates=dbt.ref("prop99_gates"),
        session=session,
    )
