def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import estimate

    return estimate(
        "nsw_cps",
        dbt.config.meta_get("study"),
        units=dbt.ref("nsw_cps_units"),
        scores=dbt.ref("nsw_cps_scores"),
        gates=dbt.ref("nsw_cps_gates"),
        session=session,
    )
