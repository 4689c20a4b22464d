def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import design

    return design("hiv_incentives", dbt.config.meta_get("study"), dbt.ref("hiv_incentives_units"), session)
