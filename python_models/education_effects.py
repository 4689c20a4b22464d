def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import estimate

    return estimate(
        "education",
        dbt.config.meta_get("study"),
        units=dbt.ref("education_units"),
        scores=dbt.ref("education_scores"),
        gates=dbt.ref("education_gates"),
        session=session,
    )
