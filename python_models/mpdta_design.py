def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import design

    return design("mpdta", dbt.config.meta_get("study"), dbt.ref("mpdta_units"), session)
