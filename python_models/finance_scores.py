def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import score

    return score("finance", dbt.config.meta_get("study"), dbt.ref("finance_units"), session)
