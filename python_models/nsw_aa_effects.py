def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import estimate

    return estimate(
        "nsw_aa",
        dbt.config.meta_get("study"),
        units=dbt.ref("nsw_aa_units"),
        scores=dbt.ref("nsw_aa_scores"),
        gates=dbt.ref("nsw_aa_gates"),
        session=session,
    )
