def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import design

    return design("insurance", dbt.config.meta_get("study"), dbt.ref("insurance_units"), session)
