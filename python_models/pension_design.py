def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import design

    return design("pension", dbt.config.meta_get("study"), dbt.ref("pension_units"), session)
