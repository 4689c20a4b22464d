def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import estimate

    return estimate(
        "senate",
        dbt.config.meta_get("study"),
        units=dbt.ref("senate_units"),
        gates=dbt.ref("senate_gates"),
        session=session,
    )
