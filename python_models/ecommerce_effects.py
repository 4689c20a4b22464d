def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import estimate

    return estimate(
        "ecommerce",
        dbt.config.meta_get("study"),
        units=dbt.ref("ecommerce_units"),
        scores=dbt.ref("ecommerce_scores"),
        gates=dbt.ref("ecommerce_gates"),
        session=session,
    )
