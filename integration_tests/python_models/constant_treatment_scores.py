def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import score

    return score("constant_treatment", dbt.config.meta_get("study"), dbt.ref("constant_treatment_units"), session)
