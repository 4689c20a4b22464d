def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import score

    return score("ecommerce", dbt.config.meta_get("study"), dbt.ref("ecommerce_units"), session)
