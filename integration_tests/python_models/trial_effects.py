def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import estimate

    return estimate(
        "trial",
        dbt.config.meta_get("study"),
        units=dbt.ref("trial_units"),
        scores=dbt.ref("trial_scores"),
        gates=dbt.ref("trial_gates"),
        session=session,
    )
