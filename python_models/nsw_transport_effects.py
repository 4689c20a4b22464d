def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import estimate

    return estimate(
        "nsw_transport",
        dbt.config.meta_get("study"),
        units=dbt.ref("nsw_transport_units"),
        scores=dbt.ref("nsw_transport_scores"),
        gates=dbt.ref("nsw_transport_gates"),
        session=session,
    )
