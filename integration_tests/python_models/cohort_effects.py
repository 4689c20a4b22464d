def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import estimate

    return estimate(
        "cohort",
        dbt.config.meta_get("study"),
        units=dbt.ref("cohort_units"),
        scores=dbt.ref("cohort_scores"),
        gates=dbt.ref("cohort_gates"),
        session=session,
    )
