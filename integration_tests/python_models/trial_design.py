def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import design

    return design("trial", dbt.config.meta_get("study"), dbt.ref("trial_units"), session)
