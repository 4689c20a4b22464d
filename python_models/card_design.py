def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import design

    return design("card", dbt.config.meta_get("study"), dbt.ref("card_units"), session)
