def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import design

    return design("senate", dbt.config.meta_get("study"), dbt.ref("senate_units"), session)
