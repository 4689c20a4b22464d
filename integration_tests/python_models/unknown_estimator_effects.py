def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import estimate

    return estimate(
        "unknown_estimator",
        dbt.config.meta_get("study"),
        units=dbt.ref("unknown_estimator_units"),
        scores=dbt.ref("unknown_estimator_scores"),
        gates=dbt.ref("unknown_estimator_gates"),
        session=session,
    )
