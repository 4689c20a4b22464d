def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import score

    return score("scale", dbt.config.meta_get("study"), dbt.ref("scale_units"), session)
