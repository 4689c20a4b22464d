def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import estimate

    return estimate(
        "nsw",
        dbt.config.meta_get("study"),
        units=dbt.ref("nsw_units"),
        scores=dbt.ref("nsw_scores"),
        gates=dbt.ref("nsw_gates"),
        session=session,
    )
