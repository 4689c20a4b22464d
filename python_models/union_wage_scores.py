def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import score

    return score("union_wage", dbt.config.meta_get("study"), dbt.ref("union_wage_units"), session)
