def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import design

    return design("finance", dbt.config.meta_get("study"), dbt.ref("finance_units"), session)
