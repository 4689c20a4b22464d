def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import score

    return score("missing_column", dbt.config.meta_get("study"), dbt.ref("missing_column_units"), session)
