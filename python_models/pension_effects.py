def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import estimate

    return estimate(
        "pension",
        dbt.config.meta_get("study"),
        units=dbt.ref("pension_units"),
        scores=dbt.ref("pension_scores"),
        gates=dbt.ref("pension_gates"),
        session=session,
    )
