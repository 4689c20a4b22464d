def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import design

    return design(
        "pension",
        dbt.config.meta_get("study"),
        units=dbt.ref("pension_units"),
        session=session,
        scores=dbt.ref("pension_scores"),
    )
