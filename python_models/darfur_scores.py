def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import score

    return score("darfur", dbt.config.meta_get("study"), dbt.ref("darfur_units"), session)
