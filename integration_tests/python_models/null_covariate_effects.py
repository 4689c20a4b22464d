def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import estimate

    return estimate(
        "null_covariate",
        dbt.config.meta_get("study"),
        units=dbt.ref("null_covariate_units"),
        scores=dbt.ref("null_covariate_scores"),
        gates=dbt.ref("null_covariate_gates"),
        session=session,
    )
