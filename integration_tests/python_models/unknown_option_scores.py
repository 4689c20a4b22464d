def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import score

    return score("unknown_option", dbt.config.meta_get("study"), dbt.ref("unknown_option_units"), session)
