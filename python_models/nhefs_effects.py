def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import estimate

    return estimate(
        "nhefs",
        dbt.config.meta_get("study"),
        units=dbt.ref("nhefs_units"),
        scores=dbt.ref("nhefs_scores"),
        gates=dbt.ref("nhefs_gates"),
        session=session,
    )
