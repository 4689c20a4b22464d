def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import score

    return score("pension", dbt.config.meta_get("study"), dbt.ref("pension_units"), session)
