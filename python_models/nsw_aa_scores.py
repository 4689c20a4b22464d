def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import score

    return score("nsw_aa", dbt.config.meta_get("study"), dbt.ref("nsw_aa_units"), session)
