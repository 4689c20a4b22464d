def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import score

    return score("nsw_transport", dbt.config.meta_get("study"), dbt.ref("nsw_transport_units"), session)
