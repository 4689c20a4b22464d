def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import score

    return score("nsw_cps", dbt.config.meta_get("study"), dbt.ref("nsw_cps_units"), session)
