def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import estimate

    return estimate(
        "excess_deaths",
        dbt.config.meta_get("study"),
        units=dbt.ref("excess_deaths_units"),
        gates=dbt.ref("excess_deaths_gates"),
        session=session,
    )
