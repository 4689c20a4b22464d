def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import score

    return score("education", dbt.config.meta_get("study"), dbt.ref("education_units"), session)
