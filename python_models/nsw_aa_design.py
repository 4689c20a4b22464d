def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import design

    return design(
        "nsw_aa",
        dbt.config.meta_get("study"),
        units=dbt.ref("nsw_aa_units"),
        session=session,
        scores=dbt.ref("nsw_aa_scores"),
    )
