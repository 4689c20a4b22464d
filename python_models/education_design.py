def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import design

    return design(
        "education",
        dbt.config.meta_get("study"),
        units=dbt.ref("education_units"),
        session=session,
        scores=dbt.ref("education_scores"),
    )
