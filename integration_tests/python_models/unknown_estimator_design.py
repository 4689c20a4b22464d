def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import design

    return design(
        "unknown_estimator",
        dbt.config.meta_get("study"),
        units=dbt.ref("unknown_estimator_units"),
        session=session,
        scores=dbt.ref("unknown_estimator_scores"),
    )
