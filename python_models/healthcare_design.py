def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import design

    return design(
        "healthcare",
        dbt.config.meta_get("study"),
        units=dbt.ref("healthcare_units"),
        session=session,
        scores=dbt.ref("healthcare_scores"),
    )
