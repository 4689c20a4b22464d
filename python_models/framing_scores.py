def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import score

    return score("framing", dbt.config.meta_get("study"), dbt.ref("framing_units"), session)
