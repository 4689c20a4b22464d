def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import estimate

    return estimate(
        "insurance",
        dbt.config.meta_get("study"),
        units=dbt.ref("insurance_units"),
        gates=dbt.ref("insurance_gates"),
        session=session,
    )
