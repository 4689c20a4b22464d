def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import design

    return design("prop99", dbt.config.meta_get("study"), dbt.ref("prop99_units"), session)
