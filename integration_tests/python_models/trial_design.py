def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import design

    return design(
        "trial",
        dbt.config.meta_get("study"),
        units=dbt.ref("trial_units"),
        session=session,
        scores=dbt.ref("trial_scores"),
    )
