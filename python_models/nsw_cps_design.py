def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import design

    return design(
        "nsw_cps",
        dbt.config.meta_get("study"),
        units=dbt.ref("nsw_cps_units"),
        session=session,
        scores=dbt.ref("nsw_cps_scores"),
    )
