def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import design

    return design("nsw", dbt.config.meta_get("study"), dbt.ref("nsw_units"), session, scores=dbt.ref("nsw_scores"))
