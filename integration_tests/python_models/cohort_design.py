def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import design

    return design(
        "cohort",
        dbt.config.meta_get("study"),
        units=dbt.ref("cohort_units"),
        session=session,
        scores=dbt.ref("cohort_scores"),
    )
