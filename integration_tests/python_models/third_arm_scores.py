def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import score

    return score("third_arm", dbt.config.meta_get("study"), dbt.ref("third_arm_units"), session)
