def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import design

    return design(
        "ecommerce",
        dbt.config.meta_get("study"),
        units=dbt.ref("ecommerce_units"),
        session=session,
        scores=dbt.ref("ecommerce_scores"),
    )
