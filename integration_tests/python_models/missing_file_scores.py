def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import score

    return score("missing_file", dbt.config.meta_get("study"), dbt.ref("missing_file_units"), session)
