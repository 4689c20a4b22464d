def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import score

    return score("header_only", dbt.config.meta_get("study"), dbt.ref("header_only_units"), session)
